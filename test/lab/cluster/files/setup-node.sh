# Run on each storage node, blank: LVM, DRBD metadata, corosync's configuration.
set -e
modprobe -a drbd xfs nfsd
mkdir -p /home/nfs && chmod 777 /home/nfs
pvcreate -qq -y /dev/vdb
vgcreate -qq drbdpool /dev/vdb
lvcreate -qq -y -Wn -L 1G -n res0 drbdpool
drbdadm create-md --force res0 >/dev/null
drbdadm up res0
