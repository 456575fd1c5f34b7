# Run on one storage node once both are connected: both disks are blank, so the
# initial sync is skipped; then the file system is made as the procedure has it.
set -e
drbdadm new-current-uuid --clear-bitmap res0/0
drbdadm primary res0
mkfs.xfs -q -K /dev/drbd1000
mount -t xfs /dev/drbd1000 /mnt
mkdir -p /mnt/user-data && chmod 777 /mnt/user-data
umount /mnt
drbdadm secondary res0
