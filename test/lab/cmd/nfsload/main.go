// Command nfsload is the lab's NFS client load: a static program that the lab
// copies into its client machine.
//
//	nfsload write  FILE ACKS INTERVAL   append records until SIGTERM
//	nfsload report ACKS SINCE_UNIX_NS   print the largest gap as JSON
//	nfsload verify FILE ACKS            check every acknowledged record
//	nfsload hold FILE LOG INTERVAL      hold a lock until SIGTERM
//	nfsload contend FILE LOG INTERVAL   try to take that lock until SIGTERM
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spacei/drbdnfs/test/lab/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "nfsload:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 3 {
		return errors.New("want a command (write, report, verify, hold, contend) and its arguments")
	}
	switch args[0] {
	case "report":
		return report(args[1], args[2])
	case "verify":
		return verify(args[1], args[2])
	}
	if len(args) != 4 {
		return fmt.Errorf("%s wants FILE LOG INTERVAL", args[0])
	}
	every, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	if args[0] == "write" {
		return load.Write(ctx, args[1], args[2], every)
	}
	log, err := os.OpenFile(args[2], os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	do := map[string]func(context.Context, string, time.Duration, io.Writer) error{"hold": load.Hold, "contend": load.Contend}[args[0]]
	if do == nil {
		return fmt.Errorf("unknown command %q", args[0])
	}
	return do(ctx, args[1], every, log)
}

func report(acks, since string) error {
	ns, err := strconv.ParseInt(since, 10, 64)
	if err != nil {
		return err
	}
	list, err := load.ReadAcks(acks)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(load.Summarise(list, time.Unix(0, ns)))
}

func verify(file, acks string) error {
	list, err := load.ReadAcks(acks)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := load.Verify(f, list); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	fmt.Printf("%d acknowledged records are there, in order and intact\n", len(list))
	return nil
}
