// Command notices prints the licences of what programs are linked with: notices FILE...
package main

import (
	"fmt"
	"os"

	"github.com/bridgeport-cni/bridgeport/test/supply"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run(files []string) error {
	var programs []*supply.Program
	for _, file := range files {
		p, err := supply.Read(file)
		if err != nil {
			return err
		}
		programs = append(programs, p)
	}
	texts, err := supply.Texts(programs...)
	if err != nil {
		return err
	}
	if problems := supply.Problems(programs, texts); len(problems) > 0 {
		return fmt.Errorf("%q", problems)
	}
	_, err = fmt.Print(supply.Notices(texts))
	return err
}
