// Package option knows DRBD's configuration options: to which section of a
// resource file each belongs, which kernels have it, and how LINSTOR calls it.
// It is pure; what an option's value means is left to DRBD, which refuses what
// it does not take.
//
//	o, ok := option.Lookup("c-max-rate")   // section disk, DRBD 8.4 and 9
//	o.LINSTOR()                            // "DrbdOptions/PeerDevice/c-max-rate"
//
// Package config checks names with it, package drbdadm of setup writes resource
// files with it, package linstor of setup sets properties with it.
package option
