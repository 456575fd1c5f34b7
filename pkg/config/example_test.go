package config_test

import (
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
)

func ExampleParse() {
	text := strings.Replace(config.Example(), `"6T"`, `"6X"`, 1)
	text = strings.Replace(text, `mode = ""`, `mode = "none"`+"\naccept_split_brain = true", 1)
	_, err := config.Parse("drbdnfs.toml", []byte(text))
	fmt.Println(err)
	// Output:
	// drbdnfs.toml:29: resource.size = "6X": not a size: write it as 500G or 6T
	//     size = "6X"
	//            ^
}
