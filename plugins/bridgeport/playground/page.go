package playground

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"golang.org/x/sys/unix"
)

const (
	// ender is an abstract socket, which each network namespace has for itself: who connects to
	// it ends the web server of that namespace.
	ender = "@bridgeport-lab"
	ready = "ready\n"
	// patience is how long an answer may take.
	patience = 5 * time.Second
)

// serve starts the container's web server in its namespace, and waits until it listens.
func serve(ns *netns.NS, c *Container) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(self, "lab", "serve", c.Name, c.Netns)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = "/", w, w, &syscall.SysProcAttr{Setsid: true}
	if err := errors.Join(ns.Do(cmd.Start), w.Close()); err != nil {
		return err
	}
	if said, err := bufio.NewReader(r).ReadString('\n'); said != ready {
		return errors.Join(fmt.Errorf("its web server: %s", strings.TrimSpace(said)), err)
	}
	return cmd.Process.Release()
}

// Serve is the web server of a container, in whose namespace the process is. It ends when
// somebody asks at the ender, or when the namespace has no file any more.
func Serve(name, path string) error {
	pages, err := net.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	end, err := net.ListenUnix("unix", &net.UnixAddr{Name: ender})
	if err != nil {
		return err
	}
	server := http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s, by %s: you come from %s\n", name, r.Context().Value(http.LocalAddrContextKey), r.RemoteAddr)
	})}
	go func() { _ = server.Serve(pages) }() // it ends with the process
	fmt.Print(ready)
	for {
		_ = end.SetDeadline(time.Now().Add(time.Second)) // a socket has deadlines
		if c, err := end.Accept(); err == nil {
			defer runtime.KeepAlive(c) // its end tells that the process has ended
			return nil
		}
		if _, err := os.Stat(path); err != nil {
			return nil // the lab is gone
		}
	}
}

// stop ends the web server of a namespace, if there is one, and waits for its end.
func stop(path string) error {
	ns, err := netns.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(func() error {
		c, err := net.Dial("unix", ender)
		if errors.Is(err, unix.ECONNREFUSED) {
			return nil
		}
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetReadDeadline(time.Now().Add(patience)) // a socket has deadlines
		_, err = io.Copy(io.Discard, c)
		return err
	})
}

// Get fetches a page as a container, "host" or "outside" would; from "" as this process does.
func (l Lab) Get(from, url string, to io.Writer) error {
	if from != "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		return l.Shell(from, []string{self, "lab", "get", "--from", "", url})
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{}} // without the environment's proxy
	res, err := client.Get(url)
	if err != nil {
		return fmt.Errorf("lab get: %w", err)
	}
	defer res.Body.Close()
	_, err = io.Copy(to, res.Body)
	return err
}
