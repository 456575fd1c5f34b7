package vip_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spacei/drbdnfs/pkg/vip"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want []string
	}{
		{"one", "192.168.2.63/24@ens3", []string{"192.168.2.63/24@ens3"}},
		{"no interface", "192.168.2.63/24", []string{"192.168.2.63/24"}},
		{"both families, comma and space", "192.168.2.63/24@ens3, fd00::63/64@ens3", []string{"192.168.2.63/24@ens3", "fd00::63/64@ens3"}},
		{"spaces and line ends", "\n 192.168.2.63/24\t10.0.0.63/8 \r\n", []string{"192.168.2.63/24", "10.0.0.63/8"}},
		{"commas alone", "10.0.0.1/8,,10.0.0.2/8,", []string{"10.0.0.1/8", "10.0.0.2/8"}},
		{"order is kept", "10.0.0.2/8 10.0.0.1/8", []string{"10.0.0.2/8", "10.0.0.1/8"}},
		{"host routes", "10.0.0.0/32@ens3 fd00::/128@ens3", []string{"10.0.0.0/32@ens3", "fd00::/128@ens3"}},
		{"point to point", "10.0.0.0/31 10.0.0.255/31 fd00::/127", []string{"10.0.0.0/31", "10.0.0.255/31", "fd00::/127"}},
		{"not the last of its network", "10.0.0.255/16", []string{"10.0.0.255/16"}},
		{"VLAN and bond names", "10.0.0.1/8@bond0.100", []string{"10.0.0.1/8@bond0.100"}},
		{"upper case IPv6", "FD00::63/64", []string{"fd00::63/64"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			vips, err := vip.Parse(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range vips {
				got = append(got, v.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string // part of the message
	}{
		{"empty", " ,\n", "write for example 192.168.2.63/24@ens3"},
		{"no prefix length", "192.168.2.63@ens3", `"192.168.2.63@ens3": no prefix length: write 192.168.2.63/24`},
		{"no prefix length, IPv6", "fd00::63", "write fd00::63/64"},
		{"netmask", "192.168.2.63/255.255.255.0", `"255.255.255.0" is not a prefix length: write a number from 1 to 32`},
		{"too long", "192.168.2.63/33", "from 1 to 32"},
		{"too long, IPv6", "fd00::63/129", "from 1 to 128"},
		{"empty prefix length", "192.168.2.63/", `"" is not a prefix length`},
		{"prefix length 0", "192.168.2.63/0", "prefix length 0"},
		{"host name", "nfs.example.com/24", `"nfs.example.com" is not an IP address (host names are not looked up)`},
		{"garbage", "192.168.2/24", `"192.168.2" is not an IP address`},
		{"leading zero", "192.168.002.63/24", "is not an IP address"},
		{"semicolon", "192.168.2.63/24;192.168.2.64/24", "is not a prefix length"},
		{"zone", "fe80::1%ens3/64", `name the interface with "@"`},
		{"mapped", "::ffff:192.168.2.63/120", "write 192.168.2.63"},
		{"network address", "192.168.2.0/24", "the address of the network 192.168.2.0/24 itself"},
		{"network address, IPv6", "fd00::/64", "the address of the network fd00::/64 itself"},
		{"broadcast address", "192.168.2.255/24", "the broadcast address of 192.168.2.0/24"},
		{"broadcast address of an odd length", "10.0.3.255/22", "the broadcast address of 10.0.0.0/22"},
		{"loopback", "127.0.0.1/8", "a loopback address"},
		{"loopback, IPv6", "::1/128", "a loopback address"},
		{"unspecified", "0.0.0.0/8", "the unspecified address"},
		{"this network", "0.1.2.3/8", "an address in 0.0.0.0/8"},
		{"multicast", "224.0.0.1/4", "a multicast address"},
		{"multicast, IPv6", "ff02::1/64", "a multicast address"},
		{"reserved", "255.255.255.255/32", "a reserved address"},
		{"link-local, IPv6", "fe80::63/64", "a link-local address"},
		{"duplicate", "192.168.2.63/24 192.168.2.63/32@ens3", `"192.168.2.63/32@ens3": the same address as "192.168.2.63/24"`},
		{"empty interface", "192.168.2.63/24@", `no interface after "@"`},
		{"alias", "192.168.2.63/24@ens3:1", `"ens3:1" cannot be the name of an interface`},
		{"two interfaces", "192.168.2.63/24@ens3@ens4", "cannot be the name"},
		{"long interface", "192.168.2.63/24@abcdefghijklmnop", "longer than 15"},
		{"path", "192.168.2.63/24@../x", "cannot be the name"},
		{"loopback interface", "192.168.2.63/24@lo", "the loopback interface"},
		{"second is wrong", "192.168.2.63/24, 1.2.3/8", `"1.2.3/8"`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			vips, err := vip.Parse(tc.in)
			if err == nil {
				t.Fatalf("accepted as %v", vips)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %q\nwant %q in it", err, tc.want)
			}
		})
	}
}

// What String writes Parse reads.
func FuzzParse(f *testing.F) {
	f.Add("192.168.2.63/24@ens3, fd00::63/64")
	f.Fuzz(func(t *testing.T, s string) {
		vips, err := vip.Parse(s)
		if err != nil {
			return
		}
		for _, v := range vips {
			again, err := vip.Parse(v.String())
			if err != nil || len(again) != 1 || again[0] != v {
				t.Errorf("%q gave %v, %v", v, again, err)
			}
		}
	})
}
