package host

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	nfsdPortList = "/proc/fs/nfsd/portlist"
	nfsdThreads  = "/proc/fs/nfsd/threads"
)

// listenBacklog is what rpc.nfsd asks for (nfs-utils utils/nfsd/nfssvc.c).
const listenBacklog = 64

// AddNFSDListeners opens TCP port on all IPv4 and IPv6 addresses and hands the
// sockets to the kernel's NFS server, which keeps them after this process
// ended. A kernel without IPv6 gets the IPv4 socket alone. The service exists
// from then on, with no thread yet.
func (h *Host) AddNFSDListeners(op string, port int) error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		err := addNFSDListener(family, port)
		if family == unix.AF_INET6 && errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: listen on TCP port %d: %w", op, port, err)
		}
	}
	return nil
}

func addNFSDListener(family, port int) error {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	var addr unix.Sockaddr = &unix.SockaddrInet4{Port: port}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
		addr = &unix.SockaddrInet6{Port: port}
	}
	if err := unix.Bind(fd, addr); err != nil {
		return err
	}
	if err := unix.Listen(fd, listenBacklog); err != nil {
		return err
	}
	return os.WriteFile(nfsdPortList, []byte(strconv.Itoa(fd)+"\n"), 0)
}

// StartNFSDThreads sets the number of nfsd threads from a UTS namespace whose
// node name is scope, so that NFSv4.1 clients see the same server scope
// whichever node serves them. The kernel copies the name of the process that
// starts the threads (Linux fs/nfsd/nfssvc.c nfsd_svc: nn->nfsd_name), which
// is how rpc.nfsd's scope= works in nfs-utils 2.6.3 and later; EL8's has none.
func (h *Host) StartNFSDThreads(op string, threads int, scope string) error {
	result := make(chan error, 1)
	go func() {
		// The thread keeps its namespace, so it must not serve other
		// goroutines: it is never unlocked and ends with this goroutine.
		runtime.LockOSThread()
		result <- startNFSDThreads(threads, scope)
	}()
	if err := <-result; err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

func startNFSDThreads(threads int, scope string) error {
	if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
		return fmt.Errorf("make UTS namespace: %w", err)
	}
	if err := unix.Sethostname([]byte(scope)); err != nil {
		return fmt.Errorf("set server scope %q: %w", scope, err)
	}
	if err := os.WriteFile(nfsdThreads, []byte(strconv.Itoa(threads)+"\n"), 0); err != nil {
		return fmt.Errorf("start %d nfsd threads: %w", threads, err)
	}
	return nil
}
