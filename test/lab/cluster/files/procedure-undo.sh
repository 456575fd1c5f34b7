# Takes the procedure's NFS configuration away again.
systemctl stop nfs-server nfs-idmapd nfs-mountd nfsdcld rpc-statd 2>/dev/null
rm -f /etc/nfs.conf.d/procedure.conf
: >/etc/exports
if [ -L /var/lib/nfs ]; then rm /var/lib/nfs; mv /var/lib/nfs_ /var/lib/nfs; fi
drbdadm down res0 2>/dev/null
sync
