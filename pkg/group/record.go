package group

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// Record is the write-ahead state of a group on this node. It is in /run, so
// that a reboot forgets it together with what it describes.
type Record struct {
	// Params are the parameters of the last start or promote, for a stop that
	// Pacemaker runs without any.
	Params map[string]string `json:"params"`
	// Device is the block device as it was resolved then.
	Device string `json:"device,omitempty"`
	// Action and Step are what is being done, empty when nothing is. Steps
	// that run at once are joined by "+".
	Action string `json:"action,omitempty"`
	Step   string `json:"step,omitempty"`
	// NFSD is set before the server's threads are started and cleared after
	// they ended: threads that run without it belong to somebody else.
	NFSD bool `json:"nfsd,omitempty"`
	// Daemons is set before the daemons' unit is started and cleared after it
	// was stopped: it stays when its processes were killed.
	Daemons bool `json:"daemons,omitempty"`
	// Stopped are units of the node that a promotion stopped and the demotion
	// starts again: the rpc.statd of a node that mounts NFSv3 itself.
	Stopped []string `json:"stopped,omitempty"`
}

// recordSystem is what keeping a Record needs of the machine.
type recordSystem interface {
	ReadFile(path string) ([]byte, error)
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	MkdirAll(op, path string, perm fs.FileMode) error
	Remove(op, path string) error
}

func recordPath(instance string) string { return path.Join(RunDir, instance+".json") }

// LoadRecord reads the record of instance. No record is an empty one.
func LoadRecord(sys recordSystem, instance string) (Record, error) {
	var r Record
	data, err := sys.ReadFile(recordPath(instance))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read record: %w", err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read record %s: %w", recordPath(instance), err)
	}
	return r, nil
}

func saveRecord(sys recordSystem, instance string, r Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := sys.MkdirAll("record.dir", RunDir, 0o700); err != nil {
		return err
	}
	return sys.WriteFileAtomic("record.write", recordPath(instance), append(data, '\n'), 0o600)
}
