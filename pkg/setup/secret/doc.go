// Package secret is the file that the nodes of a cluster share and nobody else
// may read: 32 random bytes from which every key and password is derived that
// setup needs. The same file gives the same keys, so that nodes agree without
// sending any of them.
//
//	made, err := secret.Make(m, config.DefaultSecretFile) // on the first node; the file is then copied
//	s, err := secret.Load(m, config.DefaultSecretFile)
//	key := s.CorosyncKey()
//
// The file replaced, all derived keys change: never do that while a cluster
// uses them. A [Secret] does not show itself in logs, messages or JSON.
package secret
