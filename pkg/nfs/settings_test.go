package nfs

import (
	"testing"
	"time"
)

func TestParseVersions(t *testing.T) {
	tests := []struct {
		in      string
		want    Versions
		control string
		text    string
	}{
		{"3 4.1 4.2", Versions{V3: true, V41: true, V42: true}, "-2 +3 +4 -4.0 +4.1 +4.2\n", "3 4.1 4.2"},
		{"4.2", Versions{V42: true}, "-2 -3 +4 -4.0 -4.1 +4.2\n", "4.2"},
		{"3", Versions{V3: true}, "-2 +3 -4\n", "3"},
		{"4.2,4.1,,4.0\t3\n", Versions{V3: true, V40: true, V41: true, V42: true}, "-2 +3 +4 +4.0 +4.1 +4.2\n", "3 4.0 4.1 4.2"},
		{"4.0 4.0", Versions{V40: true}, "-2 -3 +4 +4.0 -4.1 -4.2\n", "4.0"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			v, err := ParseVersions(tt.in)
			if err != nil || v != tt.want {
				t.Fatalf("= %+v, %v, want %+v", v, err, tt.want)
			}
			if got := v.control(); got != tt.control {
				t.Errorf("written to the kernel: %q, want %q", got, tt.control)
			}
			if got := v.String(); got != tt.text {
				t.Errorf("text %q, want %q", got, tt.text)
			}
			if again, err := ParseVersions(v.String()); err != nil || again != v {
				t.Errorf("its own text reads as %+v, %v", again, err)
			}
			if v.V4() != (v.V40 || v.V41 || v.V42) {
				t.Errorf("V4() = %v", v.V4())
			}
		})
	}
	for in, says := range map[string]string{
		"": "nfs_versions is empty", " , ": "nfs_versions is empty",
		"4": `"4" is no version`, "2": `"2" is no version`, "3 4.3": `"4.3" is no version`, "v3": `"v3" is no version`,
	} {
		_, err := ParseVersions(in)
		checkText(t, err, says, "3, 4.0, 4.1, 4.2")
	}
}

func TestParsePorts(t *testing.T) {
	tests := []struct {
		in   string
		want Ports
	}{
		{"", Ports{}},
		{DefaultPorts, Ports{Mountd: 32773, Statd: 32771, StatdOutgoing: 32772, LockdTCP: 32774, LockdUDP: 32775}},
		{"mountd=1,statd=65535", Ports{Mountd: 1, Statd: 65535}},
		{"lockd-tcp=4045 lockd-udp=4045", Ports{LockdTCP: 4045, LockdUDP: 4045}},
		{"mountd=5 mountd=6", Ports{Mountd: 6}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			if got, err := ParsePorts(tt.in); err != nil || got != tt.want {
				t.Errorf("= %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
	for in, says := range map[string][]string{
		"mountd":                          {`"mountd" is unknown`, "with =PORT"},
		"nfsd=5":                          {`"nfsd=5" is unknown`, "use mountd, statd, statd-outgoing, lockd-tcp, lockd-udp"},
		"mountd=":                         {"mountd= is no port", "1 to 65535"},
		"mountd=0":                        {"mountd=0 is no port"},
		"mountd=65536":                    {"mountd=65536 is no port"},
		"mountd=-5":                       {"mountd=-5 is no port"},
		"statd=x":                         {"statd=x is no port"},
		"statd=2049":                      {"statd=2049 is taken by NFS"},
		"statd=111":                       {"statd=111 is taken", "rpcbind"},
		"mountd=5 statd=5":                {"mountd and statd share port 5"},
		"lockd-tcp=5 lockd-udp=5 statd=5": {"share port 5"},
		"statd=5 statd-outgoing=5":        {"statd and statd-outgoing share port 5"},
	} {
		_, err := ParsePorts(in)
		checkText(t, err, append(says, "ports: ")...)
	}
}

func TestNLMGrace(t *testing.T) {
	tests := []struct {
		in   time.Duration
		want string
	}{
		{10 * time.Second, "10"},
		{11 * time.Second, "20"},
		{30 * time.Second, "30"},
		{89 * time.Second, "90"},
		{90 * time.Second, "90"},
		{240 * time.Second, "240"},
		{241 * time.Second, "240"},
		{time.Hour, "240"},
	}
	for _, tt := range tests {
		if got := nlmGrace(tt.in); got != tt.want {
			t.Errorf("nlmGrace(%v) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

const conf = `
# pipefs-directory=/comment
; pipefs-directory=/semicolon
pipefs-directory=/no/section
[ General ]
 Pipefs-Directory = "/run/rpc_pipefs"
nothing here
[exportd]
pipefs-directory=/other
[general]
pipefs-directory = /last
empty=
[nfsd] # comment
threads = 8
vers4 = y = z
`

func TestConfValue(t *testing.T) {
	tests := []struct {
		name, conf, section, key, want string
		ok                             bool
	}{
		{"the last counts, names ignore case", conf, "general", "pipefs-directory", "/last", true},
		{"another section", conf, "exportd", "pipefs-directory", "/other", true},
		{"no such section", conf, "mountd", "pipefs-directory", "", false},
		{"no such key", conf, "general", "threads", "", false},
		{"an empty value", conf, "general", "empty", "", true},
		{"a comment after the section", conf, "nfsd", "threads", "8", true},
		{"a value with an equal sign", conf, "nfsd", "vers4", "y = z", true},
		{"a line that is no assignment", conf, "general", "nothing here", "", false},
		{"a section that does not end", "[general\na=b", "general", "a", "b", true},
		{"line ends of another system", "[general]\r\na=b\r\n", "general", "a", "b", true},
		{"nothing", "", "general", "a", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := confValue(tt.conf, tt.section, tt.key)
			if got != tt.want || ok != tt.ok {
				t.Errorf("= %q, %v, want %q, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// FuzzConfValue: no file makes it fail, and what is put at the end counts.
func FuzzConfValue(f *testing.F) {
	f.Add(conf, "v")
	f.Add("[", "")
	f.Add("[general]\n=\n", `"`)
	f.Fuzz(func(t *testing.T, text, junk string) {
		confValue(text, "general", junk)
		got, ok := confValue(text+"\n[general]\npipefs-directory=/run/x\n", "general", "pipefs-directory")
		if !ok || got != "/run/x" {
			t.Errorf("= %q, %v", got, ok)
		}
	})
}

func TestCheckPipefs(t *testing.T) {
	tests := []struct {
		name, conf string // "" is no file
		dir        string
		ok         bool
	}{
		{"no configuration", "", "/var/lib/nfs/rpc_pipefs", false},
		{"nothing said", "[general]\n", "/var/lib/nfs/rpc_pipefs", false},
		{"Debian's", "[general]\npipefs-directory=/run/rpc_pipefs\n", "/run/rpc_pipefs", true},
		{"below another directory", "[general]\npipefs-directory=/var/lib/nfs.local/rpc_pipefs\n", "/var/lib/nfs.local/rpc_pipefs", true},
		{"the directory itself", "[general]\npipefs-directory=/var/lib/nfs\n", "/var/lib/nfs", false},
		{"below the directory", "[general]\npipefs-directory=/var/lib/nfs/p\n", "/var/lib/nfs/p", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRooted(t)
			if tt.conf != "" {
				r.write("/etc/nfs.conf", tt.conf)
			}
			if got := PipefsDir(r); got != tt.dir {
				t.Errorf("PipefsDir = %q, want %q", got, tt.dir)
			}
			err := CheckPipefs(r)
			if tt.ok && err != nil {
				t.Error(err)
			}
			if !tt.ok {
				checkText(t, err, "set pipefs-directory=/run/rpc_pipefs in [general] of /etc/nfs.conf", tt.dir)
			}
		})
	}
}
