// Package config reads the one configuration file, /etc/drbdnfs/drbdnfs.toml,
// which is the same on every node of the cluster.
//
//	c, err := config.Parse("drbdnfs.toml", data)
//	if err != nil { ... } // *config.Errors: every problem with its line and remedy
//	c.Resource.DRBD["c-max-rate"] // "300M" where the file says nothing
//	c.At("resource.size")         // "drbdnfs.toml:12"
//
// Parse is strict and complete: an unknown key, a wrong type or a value that
// cannot work is a [Problem], and all of them are returned together, before
// anything is touched on any machine. What it returns has every default filled
// in and has been checked, so that nobody else checks again. It looks at no
// machine: whether a device or an interface exists is for setup to see.
//
// The keys with their types, defaults and meanings are one table in keys.go,
// from which the defaults, [Reference] and [Example] are made.
package config
