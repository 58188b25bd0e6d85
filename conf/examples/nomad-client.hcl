# Keeps Nomad from giving its tasks the ports of portfence's sections. (Its own range is 20000-32000 by default.)
#
# Copy it to the client's configuration folder, and change the line to what this prints on that host:
#
#   portfence rules --json | jq -r '[.applications[] | .tcp[], .udp[], .sctp[] | "\(.first)-\(.last)"] | unique | join(",")'
#
# A range of leases has no fixed ports: add its pool by hand.

client {
  reserved {
    reserved_ports = "21000-21499,21500-21999"
  }
}
