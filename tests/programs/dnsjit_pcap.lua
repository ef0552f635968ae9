-- -i DEVICE | -r FILE: a line per packet.
local how, name = arg[2], arg[3]
local pcap = require("dnsjit.input.pcap").new()
if how == "-r" then
  if pcap:open_offline(name) ~= 0 then os.exit(1) end
else
  pcap:create(name)
  pcap:snaplen(65535)
  if pcap:activate() ~= 0 then os.exit(1) end
end
local produce, context = pcap:produce()
local object = require("dnsjit.core.objects")
while true do
  local packet = produce(context)
  if packet == nil then break end
  local p = packet:cast()
  print("P", tonumber(p.ts.sec), tonumber(p.ts.nsec), p.caplen)
  io.stdout:flush()
end
