// Command image writes the installer's image to a file, for `docker load`, `ctr images
// import` and `kind load image-archive`.
package main

import (
	"fmt"
	"os"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "image: usage: image FILE")
		os.Exit(2)
	}
	image, err := kit.InstallerImage()
	if err == nil {
		err = image.Write(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}
