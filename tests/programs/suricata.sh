# suricata.sh OPTIONS...: get-suricata's Suricata, which is in the folder of
# this script, as installed, with rules and a log in the current folder.
here=${0%/*}
etc=$here/etc/suricata
libraries=$(echo "$here"/usr/lib/*-linux-gnu*)
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries"
cat > test.rules <<-EOF
alert http any any -> any any (msg:"h"; http.uri; content:"page1"; sid:1;)
alert dns any any -> any any (msg:"d"; dns.query; content:"www3"; sid:2;)
alert tls any any -> any any (msg:"t"; tls.sni; content:"example"; sid:3;)
alert icmp any any -> any any (msg:"i"; itype:8; sid:4;)
EOF
exec "$here/usr/bin/suricata" -c "${SURICATA_YAML:-$etc/suricata.yaml}" \
    --set classification-file="$etc/classification.config" \
    --set reference-config-file="$etc/reference.config" \
    --set threshold-file=/dev/null \
    --set unix-command.enabled=no -S test.rules -l . "$@"
