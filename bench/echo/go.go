// SPDX-License-Identifier: MIT

// echo, go: a goroutine for each connection.
package main

import (
	"fmt"
	"io"
	"net"
	"os"

	"pirn/bench/harness"
)

func echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, kBufferSizeBytes)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// endWithStdin ends the process when whoever started it closes its stdin.
func endWithStdin() {
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func main() {
	harness.Parse(0, 0)
	go endWithStdin()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		harness.Fail(1, "%v", err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		if err != nil {
			harness.Fail(1, "%v", err)
		}
		go echo(conn)
	}
}
