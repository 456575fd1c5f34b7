# The procedure's move of the NFS state, on the node that will be first.
set -e
drbdadm up res0 2>/dev/null || true
for try in $(seq 100); do drbdadm primary res0 2>/dev/null && break; sleep 0.2; done
mount -t xfs /dev/drbd1000 /home/nfs
mkdir -p /home/nfs/var/lib
rm -rf /home/nfs/var/lib/nfs
cp -a /var/lib/nfs /home/nfs/var/lib/
umount /home/nfs
drbdadm secondary res0
