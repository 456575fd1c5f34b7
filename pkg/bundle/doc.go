// Package bundle collects everything that a post-mortem needs from one node into
// one archive: configuration without secrets, the cluster's and DRBD's state,
// journals, and a timeline of what happened.
//
//	b := bundle.Collect(ctx, bundle.Options{Machine: h, Config: cfg, Self: "drbdtest1", Since: time.Now().Add(-24 * time.Hour)})
//	err := b.Write(file) // HOST-DATE/manifest.json, HOST-DATE/timeline.txt, ...
//
// It is for the worst day: each source has a time limit of its own, all run at
// once, and what hangs, fails or is missing is a line of the manifest and never an
// error. Each file is bounded, logs by leaving out their oldest part, and so is the
// whole.
//
// Secrets are taken out of every file, twice: by the names of what holds them
// (redact.go), and by their values, as far as the configuration names them. The
// secret file, corosync's authkey and the like are never read into a file.
//
// Journals are in the export format of systemd, which systemd-journal-remote reads
// back in; see https://systemd.io/JOURNAL_EXPORT_FORMATS.
package bundle
