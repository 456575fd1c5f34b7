package cluster

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
)

// agentParams reads the agent's instance attributes from a CIB configuration, in
// the order in which they stand there.
func agentParams(cib string) ([][2]string, error) {
	var c struct {
		Primitives []struct {
			Type   string `xml:"type,attr"`
			Params []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"instance_attributes>nvpair"`
		} `xml:"resources>clone>primitive"`
	}
	if err := xml.Unmarshal([]byte(cib), &c); err != nil {
		return nil, err
	}
	for _, p := range c.Primitives {
		if p.Type != "drbdnfs" {
			continue
		}
		var params [][2]string
		for _, nv := range p.Params {
			params = append(params, [2]string{nv.Name, nv.Value})
		}
		return params, nil
	}
	return nil, errors.New("no primitive of type drbdnfs in the CIB")
}

// AgentEnv returns shell lines that export what Pacemaker hands our agent, with
// the parameters of OursCIB. A scenario that runs the agent by hand puts them in
// front and adds the operation's own (timeout, interval, depth).
func AgentEnv() string {
	params, err := agentParams(OursCIB)
	if err != nil {
		panic(err) // the file is part of this program
	}
	var b strings.Builder
	b.WriteString("export OCF_ROOT=/usr/lib/ocf OCF_RA_VERSION_MAJOR=1 OCF_RA_VERSION_MINOR=1 OCF_RESOURCE_INSTANCE=nfs " +
		"OCF_RESOURCE_PROVIDER=spacei OCF_RESOURCE_TYPE=drbdnfs HA_LOGTAG=nfs HA_cluster_type=corosync " +
		"OCF_RESKEY_CRM_meta_clone=0 OCF_RESKEY_CRM_meta_clone_max=2 OCF_RESKEY_CRM_meta_clone_node_max=1 " +
		"OCF_RESKEY_CRM_meta_promoted_max=1 OCF_RESKEY_CRM_meta_promoted_node_max=1 OCF_RESKEY_CRM_meta_master_max=1 " +
		"OCF_RESKEY_CRM_meta_master_node_max=1 OCF_RESKEY_CRM_meta_globally_unique=false OCF_RESKEY_CRM_meta_notify=false " +
		"OCF_RESKEY_CRM_meta_promotable=true OCF_RESKEY_CRM_meta_on_node=$(uname -n) " +
		"OCF_RESKEY_CRM_meta_interleave=true OCF_RESKEY_crm_feature_set=3.16.1\n")
	for _, p := range params {
		fmt.Fprintf(&b, "export OCF_RESKEY_%s=%s\n", p[0], shellQuote(p[1]))
	}
	return b.String()
}

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// TesterArgs returns the parameters of OursCIB as options of ocf-tester.
func TesterArgs() (string, error) {
	params, err := agentParams(OursCIB)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range params {
		fmt.Fprintf(&b, "-o %s ", shellQuote(p[0]+"="+p[1]))
	}
	return strings.TrimSpace(b.String()), nil
}
