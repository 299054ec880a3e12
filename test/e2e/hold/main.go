// Command hold is a chained CNI plugin for tests: its ADD waits, while the file
// /run/tmp/hold exists, so that a runtime can be killed between the work of the
// plugins before it and its own record of it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

const (
	wish    = "/run/tmp/hold"    // made by the test
	waiting = "/run/tmp/holding" // made here
)

func main() {
	if os.Getenv("CNI_COMMAND") != "ADD" {
		return
	}
	if err := add(); err != nil {
		fmt.Printf(`{"cniVersion":"1.1.0","code":11,"msg":%q}`, "hold: "+err.Error())
		os.Exit(1)
	}
}

func add() error {
	var conf struct {
		PrevResult json.RawMessage `json:"prevResult"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&conf); err != nil {
		return err
	}
	if _, err := os.Stat(wish); err == nil {
		if err := os.WriteFile(waiting, nil, 0o644); err != nil {
			return err
		}
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if _, err := os.Stat(wish); err != nil {
				break
			}
		}
	}
	_, err := os.Stdout.Write(conf.PrevResult)
	return err
}
