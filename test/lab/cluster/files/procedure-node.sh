# The procedure's NFS configuration of a node.
set -e
cat >/etc/exports <<'END'
/home/nfs/user-data/ 192.168.2.0/255.255.255.0(rw,sync,no_root_squash,no_all_squash)
END
mkdir -p /etc/nfs.conf.d
cat >/etc/nfs.conf.d/procedure.conf <<'END'
[statd]
port=32771
outgoing-port=32772
[mountd]
port=32773
[lockd]
port=32774
udp-port=32775
[nfsd]
threads=8
END
[ -L /var/lib/nfs ] || mv /var/lib/nfs /var/lib/nfs_
ln -sfn /home/nfs/var/lib/nfs /var/lib/nfs
sync
