# capped.sh path|installed LIBRARIES OPTIONS...: dumpcap with file capabilities,
# as Debian's package makes it for ordinary users, run as one. Either with the
# library in LD_LIBRARY_PATH, or as if it were installed: in the place of the
# system's, in a mount namespace.
set -e
how=$1 libraries=$2
shift 2
cp "$(command -v dumpcap)" dumpcap
setcap cap_net_raw,cap_net_admin=eip dumpcap
chmod 777 .
if [ "$how" = installed ]; then
	unset LD_LIBRARY_PATH
	system=$(ldconfig -p | sed -n 's/.*libpcap.so.0.8 .*=> //p' | head -n 1)
	mount --bind "$libraries/libpcap.so.0.8" "$system"
fi
exec setpriv --reuid=65534 --regid=65534 --clear-groups ./dumpcap "$@"
