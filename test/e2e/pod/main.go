// Command pod is all that the containers of the end-to-end tests run: a static
// program, so that an image is this one file.
//
//	pod pause   waits for its end
//	pod serve   tells everybody on TCP and UDP port 80 the address it sees them come
//	            from, and on TCP port 81 its own host name
//	pod ask NETWORK ADDRESS
//	            prints what such a server says
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT)
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "pod:", err)
			os.Exit(1)
		}
	}
	if len(os.Args) > 3 && os.Args[1] == "ask" {
		if err := ask(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "pod:", err)
			os.Exit(1)
		}
		return
	}
	<-end
}

func ask(network, addr string) error {
	conn, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if network == "udp" { // a TCP server answers unasked, and closes
		if _, err := fmt.Fprintln(conn, "who am I"); err != nil {
			return err
		}
	}
	buf := make([]byte, 256)
	n, err := conn.Read(buf)
	if err != nil && (err != io.EOF || n == 0) {
		return err
	}
	fmt.Printf("seen as %s\n", buf[:n])
	return nil
}

func serve() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	if err := tcp(":80", func(c net.Conn) string { return c.RemoteAddr().String() }); err != nil {
		return err
	}
	if err := tcp(":81", func(net.Conn) string { return name }); err != nil {
		return err
	}
	conn, err := net.ListenPacket("udp", ":80")
	if err != nil {
		return err
	}
	go func() {
		buf := make([]byte, 2048)
		for {
			_, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			// A client that is gone already is not the server's trouble.
			_, _ = conn.WriteTo([]byte(from.String()+"\n"), from)
		}
	}()
	return nil
}

// tcp answers each connection with one line and closes it.
func tcp(addr string, answer func(net.Conn) string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = fmt.Fprintln(conn, answer(conn))
			}()
		}
	}()
	return nil
}
