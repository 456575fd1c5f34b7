package group

import (
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// RunDir holds what a reboot must forget: locks, records, cached scores.
const RunDir = "/run/drbdnfs"

// DownMode says whether stop takes the DRBD resource down.
type DownMode string

// The modes of the drbd_down parameter.
const (
	DownAuto DownMode = "auto" // yes, unless LINSTOR manages the resource
	DownYes  DownMode = "yes"
	DownNo   DownMode = "no"
)

// Config is one group, fully resolved: no field has a default left to fill in.
type Config struct {
	Instance     string // the Pacemaker resource, without a clone number
	Resource     string // DRBD resource
	Device       string // block device; empty: the first volume of Resource
	Dir          string // where the file system is mounted
	FSType       string
	MountOptions string
	StateDir     string // NFS state on the volume, below Dir
	Exports      []nfs.Export
	Server       nfs.ServerConfig
	VIPs         []vip.VIP
	DRBDDown     DownMode
}
