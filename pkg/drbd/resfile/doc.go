// Package resfile writes DRBD's resource file for drbdadm, /etc/drbd.d/NAME.res,
// from the configuration, in the grammar of DRBD 9 or of DRBD 8.4. It is pure:
// the same configuration gives the same text on every node.
//
//	text, err := resfile.Render(cfg, version.Major >= 9)
//	if err != nil { ... } // the configuration asks for what this DRBD cannot do
//
// Stage drbdadm of setup puts the text in place, and has drbdadm read it first.
// Values are not judged here: what an option may be, DRBD knows.
package resfile
