package linstor

import "testing"

// Ensure that DRBD's numbers with a unit become numbers in the option's own
// unit, and that everything else is left as it is.
func TestPlain(t *testing.T) {
	for _, tt := range []struct{ option, value, want string }{
		{"c-max-rate", "300M", "307200"},
		{"c-max-rate", "300m", "307200"},
		{"c-max-rate", "4T", "4294967296"},
		{"c-max-rate", "102400", "102400"},
		{"c-min-rate", "1s", "1s"}, // half a KiB
		{"c-fill-target", "100k", "200"},
		{"sndbuf-size", "10M", "10485760"},
		{"sndbuf-size", "0", "0"},
		{"rcvbuf-size", "M", "M"},
		{"al-extents", "-1k", "-1k"},
		{"al-extents", "", ""},
		{"read-balancing", "1M-striping", "1M-striping"},
		{"shared-secret", "12k", "12k"},
		{"cpu-mask", "1g", "1g"},
	} {
		if got := plain(tt.option, tt.value); got != tt.want {
			t.Errorf("%s %s is %s, want %s", tt.option, tt.value, got, tt.want)
		}
	}
}

// Ensure that argv survives a shell.
func TestQuoted(t *testing.T) {
	got := quoted("linstor", "set", "", "a b", "it's", "/usr/lib/drbd/crm-fence-peer.9.sh", "$HOME")
	if want := `linstor set '' 'a b' 'it'\''s' /usr/lib/drbd/crm-fence-peer.9.sh '$HOME'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Ensure that space is reckoned with the metadata of all peers, in whole extents:
// what drbdmeta takes for 6 TiB and seven peers is 1344 MiB and a little.
func TestGross(t *testing.T) {
	for _, tt := range []struct{ net, want int64 }{
		{6 << 30, 6<<30 + 1348<<10},
		{4096, 8192},
		{1 << 20, 1<<20 + 4096},
	} {
		if got := grossKiB(tt.net); got != tt.want {
			t.Errorf("%d KiB take %d, want %d", tt.net, got, tt.want)
		}
	}
}

// Ensure that sizes read well.
func TestKiB(t *testing.T) {
	for n, want := range map[int64]string{0: "0 KiB", 4096: "4096 KiB", 1 << 20: "1024 MiB", 5 << 30: "5120 GiB", 20 << 30: "20 TiB"} {
		if got := kib(n); got != want {
			t.Errorf("%d KiB is %s, want %s", n, got, want)
		}
	}
}
