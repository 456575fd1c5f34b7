package kmsg_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/kmsg"
)

// Ensure that records are read with their numbers and fields, and that only the
// kernel's own are DRBD's.
func TestParseRecord(t *testing.T) {
	unresolved := kmsg.Message{
		Kind: kmsg.SplitBrain, Volume: drbd.Absent, Text: "Split-Brain detected but unresolved, dropping connection!",
	}
	for _, tt := range []struct {
		name, data string
		want       kmsg.Record
	}{
		{
			"with fields", "1,576,712567501,-;block drbd0: " + unresolved.Text + "\n SUBSYSTEM=block\n DEVICE=b147:0\n",
			kmsg.Record{
				Position: kmsg.Position{Seq: 576}, Severity: 1, Kernel: true, SinceBoot: 712567501 * time.Microsecond,
				Text:   "block drbd0: " + unresolved.Text,
				Fields: map[string]string{"SUBSYSTEM": "block", "DEVICE": "b147:0"}, Message: unresolved,
			},
		},
		{
			"written by a program", "12,577,1,-;block drbd0: " + unresolved.Text,
			kmsg.Record{Position: kmsg.Position{Seq: 577}, Severity: 4, SinceBoot: time.Microsecond, Text: "block drbd0: " + unresolved.Text},
		},
		{
			"with more numbers", "6,1,2,-,caller=T1;a;b\nno field\n K=a=b\n",
			kmsg.Record{
				Position: kmsg.Position{Seq: 1}, Severity: 6, Kernel: true, SinceBoot: 2 * time.Microsecond,
				Text: "a;b", Fields: map[string]string{"K": "a=b"},
			},
		},
		{"empty", "6,0,0,-;\n", kmsg.Record{Severity: 6, Kernel: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := kmsg.ParseRecord([]byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that what is no record is told.
func TestParseRecordSyntax(t *testing.T) {
	for _, data := range []string{"", "text", "6,1,2,-", "6,1,2;text", "6,x,2,-;text", "-6,1,2,-;text", "6,1,,-;text"} {
		if r, err := kmsg.ParseRecord([]byte(data)); !errors.Is(err, kmsg.ErrSyntax) {
			t.Errorf("%q: %+v, %v", data, r, err)
		}
	}
}

// FuzzParseRecord ensures that a record is in bounds whatever is read, and that
// DRBD's messages come from the kernel alone.
func FuzzParseRecord(f *testing.F) {
	f.Add([]byte("1,576,712567501,-;block drbd0: Unrelated data, aborting!\n SUBSYSTEM=block\n DEVICE=b147:0\n"))
	f.Add([]byte("12,18446744073709551615,18446744073709551615,c;drbd a b: Unrelated data"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := kmsg.ParseRecord(data)
		if err != nil {
			if !errors.Is(err, kmsg.ErrSyntax) {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		if r.Severity < 0 || r.Severity > 7 || r.SinceBoot < 0 || !r.Kernel && r.Message.Kind != "" {
			t.Errorf("%q: %+v", data, r)
		}
	})
}
