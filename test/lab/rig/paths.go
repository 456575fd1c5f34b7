package rig

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Names of the lab's machines.
const (
	Node1  = "drbdtest1"
	Node2  = "drbdtest2"
	Node3  = "drbdtest3" // a tie-breaker, only started where it is needed
	Client = "client"
)

// VIP is the service address that the cluster moves between the storage nodes.
const VIP = "192.168.2.63"

// Rig is one checkout's lab: its directories, its network namespace and its
// virtual machines. Make it with Open.
type Rig struct {
	// Checkout is the absolute path of the project's tree.
	Checkout string
	// Root is shared by all checkouts of a machine (images, ssh key).
	Root string
	// Dir is this checkout's own directory below Root.
	Dir string
	// Netns is the name of this checkout's network namespace.
	Netns string
	// NodeCPUs is the number of processors of a storage node at its next boot; 0
	// is the usual number. Open takes it from LAB_CPUS.
	NodeCPUs int
	// Log receives progress.
	Log *Progress

	id       string
	accel    Accel
	image    Image
	sshMu    sync.Mutex
	lockFile *os.File
}

// Machine describes one virtual machine of the lab.
type Machine struct {
	Name      string
	Address   string // IPv4, without the prefix length (/24)
	MAC       string
	MemoryMiB int
	CPUs      int
	DataMiB   int // size of the second disk, 0 = none
	// Spare machines are off unless a scenario starts them.
	Spare bool
}

// Machines lists the lab's virtual machines in the order of their addresses.
func Machines() []Machine {
	return []Machine{
		{Name: Node1, Address: "192.168.2.61", MAC: "52:54:00:02:02:61", MemoryMiB: 1024, CPUs: 2, DataMiB: 1536},
		{Name: Node2, Address: "192.168.2.62", MAC: "52:54:00:02:02:62", MemoryMiB: 1024, CPUs: 2, DataMiB: 1536},
		{Name: Client, Address: "192.168.2.64", MAC: "52:54:00:02:02:64", MemoryMiB: 512, CPUs: 1},
		{Name: Node3, Address: "192.168.2.66", MAC: "52:54:00:02:02:66", MemoryMiB: 768, CPUs: 1, Spare: true},
	}
}

// Nodes returns the names of the storage nodes that hold data.
func Nodes() []string { return []string{Node1, Node2} }

// Peer returns the other storage node.
func Peer(node string) string {
	if node == Node1 {
		return Node2
	}
	return Node1
}

// MachineByName finds a machine; the error lists the valid names.
func MachineByName(name string) (Machine, error) {
	for _, m := range Machines() {
		if m.Name == name {
			return m, nil
		}
	}
	return Machine{}, fmt.Errorf("no machine %q in the lab (there are %s, %s, %s, %s)", name, Node1, Node2, Node3, Client)
}

// Open returns the lab of the checkout that holds dir, without touching
// anything but the lab's own directory, which it creates. Progress goes to out.
//
// LAB_DIR names the lab's directory; the default is drbdnfs-lab below
// XDG_CACHE_HOME or ~/.cache.
func Open(dir string, out io.Writer) (*Rig, error) {
	checkout, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if resolved, err := filepath.EvalSymlinks(checkout); err == nil {
		checkout = resolved
	}
	root := os.Getenv("LAB_DIR")
	// A second LAB_DIR makes a second lab of the same checkout.
	seed := checkout + root
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("set LAB_DIR: %w", err)
		}
		root = filepath.Join(cache, "drbdnfs-lab")
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(seed))
	id := hex.EncodeToString(sum[:])[:8]
	r := &Rig{
		Checkout: checkout,
		Root:     root,
		Dir:      filepath.Join(root, id),
		Netns:    "drbdnfs-" + id,
		Log:      NewProgress(out),
		id:       id,
	}
	if v := os.Getenv("LAB_CPUS"); v != "" {
		if r.NodeCPUs, err = strconv.Atoi(v); err != nil || r.NodeCPUs < 1 {
			return nil, fmt.Errorf("LAB_CPUS=%s: want the number of processors of a storage node", v)
		}
	}
	for _, sub := range []string{"vm", "ssh", "logs", "bin"} {
		if err := os.MkdirAll(filepath.Join(r.Dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	// Says whose directory this is to someone who cleans up by hand.
	note := filepath.Join(r.Dir, "checkout")
	if err := os.WriteFile(note, []byte(checkout+"\n"), 0o600); err != nil {
		return nil, err
	}
	return r, nil
}

// Lock makes the caller the only one that changes this lab until the process
// ends; another one that is at work is an error that names it.
func (r *Rig) Lock() error {
	f, err := os.OpenFile(filepath.Join(r.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid, _ := io.ReadAll(f)
		f.Close()
		return fmt.Errorf("another scripts/lab is at work in this lab (pid %s)", strings.TrimSpace(string(pid)))
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	// Kept open, and so locked, until the process ends.
	r.lockFile = f
	return err
}

func (r *Rig) vmDir(name string) string { return filepath.Join(r.Dir, "vm", name) }

// SerialLog returns the file that holds a machine's serial console.
func (r *Rig) SerialLog(name string) string { return filepath.Join(r.vmDir(name), "serial.log") }
