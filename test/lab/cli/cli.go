package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
	"github.com/spacei/drbdnfs/test/lab/scenario"
)

const usage = `usage: scripts/lab COMMAND

  up               build the image, boot the machines, set the cluster up
  down             end the machines and the network (disks and logs stay)
  remove           down, and delete the disks
  status           what runs, and the cluster's own status
  ssh NODE [CMD]   a shell or one command on drbdtest1, drbdtest2 or client
  test [NAME...]   run scenarios (none: all but those run by name only; all; or names)
  demo             kill the active node under load and show what the client sees
  logs             save the logs of all machines and print the folder

test and demo leave the machines running; a failed scenario's logs are kept.
Variables: LAB_DIR LAB_ACCEL=kvm|tcg LAB_CPUS=N LAB_DRBD9=DIR LAB_LINSTOR=DIR LAB_RPM=FILE LAB_AGENT=FILE LAB_ROUNDS=N LAB_MIRROR=URL
`

// Run executes one command of scripts/lab and returns the exit status.
func Run(ctx context.Context, args []string, out io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(out, usage)
		return 0
	}
	r, err := rig.Open(".", os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	err = command(ctx, scenario.NewEnv(r, out), args[0], args[1:])
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case args[0] == "ssh" && errors.As(err, &exit):
		return exit.ExitCode()
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	fmt.Fprintln(os.Stderr, "lab:", err)
	return 1
}

var errUsage = errors.New("usage")

func command(ctx context.Context, env *scenario.Env, name string, args []string) error {
	switch name {
	case "up", "down", "remove", "test", "demo":
		if err := env.Rig.Lock(); err != nil {
			return err
		}
	}
	switch name {
	case "up":
		return env.Up(ctx)
	case "down":
		return env.Rig.Down(ctx)
	case "remove":
		return env.Rig.Remove(ctx)
	case "status":
		return status(ctx, env)
	case "ssh":
		if len(args) == 0 {
			return errUsage
		}
		return env.Rig.Shell(ctx, args[0], args[1:])
	case "test":
		return test(ctx, env, args)
	case "demo":
		return env.Demo(ctx)
	case "logs":
		fmt.Fprintln(env.Out, env.Collect(ctx, "by-hand"))
		return nil
	}
	return errUsage
}

func test(ctx context.Context, env *scenario.Env, args []string) error {
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	rounds := flags.Int("rounds", 0, "rounds of soak (default 50) and procedure (default 3)")
	var names []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return errUsage
		}
		if args = flags.Args(); len(args) > 0 {
			names, args = append(names, args[0]), args[1:]
		}
	}
	if v := os.Getenv("LAB_ROUNDS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return fmt.Errorf("LAB_ROUNDS=%s: want the number of rounds", v)
		}
		env.Rounds = n
	}
	if *rounds < 0 {
		return fmt.Errorf("--rounds %d: want the number of rounds", *rounds)
	}
	if *rounds > 0 {
		env.Rounds = *rounds
	}
	list, err := scenario.Select(names)
	if err != nil {
		return err
	}
	if failed := env.RunAll(ctx, list); failed > 0 {
		return fmt.Errorf("%d scenarios failed", failed)
	}
	return nil
}

// status prints which machines run and what the cluster says.
func status(ctx context.Context, env *scenario.Env) error {
	fmt.Fprintf(env.Out, "checkout  %s\nfiles     %s\nnamespace %s\n\n", env.Rig.Checkout, env.Rig.Dir, env.Rig.Netns)
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	up := 0
	for _, m := range rig.Machines() {
		state := "off"
		if env.Rig.Running(m.Name) {
			state = "running"
			up++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.Name, m.Address, state, env.Rig.SerialLog(m.Name))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if logs, _ := filepath.Glob(filepath.Join(env.Rig.Dir, "logs", "*")); len(logs) > 0 {
		sort.Strings(logs)
		fmt.Fprintf(env.Out, "\nlast kept logs: %s\n", logs[len(logs)-1])
	}
	if up == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	node, err := cluster.New(env.Rig).AnyOnline(ctx)
	if err != nil {
		fmt.Fprintf(env.Out, "\nno cluster answers: %v\n", err)
		return nil
	}
	text, err := env.Rig.SSH(ctx, node, "crm_mon --one-shot --inactive; drbdadm status 2>/dev/null || cat /proc/drbd")
	fmt.Fprintf(env.Out, "\n%s", text)
	return err
}
