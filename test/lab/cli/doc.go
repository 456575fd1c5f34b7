// Package cli is the lab's command line: it maps the words after scripts/lab to
// what packages rig, cluster and scenario do.
//
//	code := cli.Run(ctx, []string{"test", "crash"}, os.Stdout)
package cli
