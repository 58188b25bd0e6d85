// talk: a client and server in Go, whose runtime makes its system calls itself.
//
//	talk PORT         "CALL LOCAL-PORT" for each call that makes the kernel choose a port; destination
//	                  is PORT of this host, where TCP is listened to; then wait for the end of
//	                  standard input
//	talk resolve NAME "address A", by Go's own resolver
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
)

var held []interface{}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func report(call string, holder interface{}, local net.Addr) {
	_, port, _ := net.SplitHostPort(local.String())
	fmt.Println(call, port)
	held = append(held, holder)
}

func dial(network, address string) {
	connection, err := net.Dial(network, address)
	check(err)
	_, err = connection.Write([]byte("c"))
	check(err)
	report("dial-"+network, connection, connection.LocalAddr())
}

func send(network, address string) {
	to, err := net.ResolveUDPAddr(network, address)
	check(err)
	socket, err := net.ListenUDP(network, nil)
	check(err)
	_, err = socket.WriteTo([]byte("x"), to)
	check(err)
	report("write-"+network, socket, socket.LocalAddr())
}

// A server that the kernel chooses a port for, and a client of it.
func serve(network string) {
	listener, err := net.Listen(network, "")
	check(err)
	report("listen-"+network, listener, listener.Addr())
	go dial(network, listener.Addr().String())
	connection, err := listener.Accept()
	check(err)
	report("accept-"+network, connection, connection.RemoteAddr())
}

func resolve(name string) {
	resolver := net.Resolver{PreferGo: true}
	addresses, err := resolver.LookupHost(context.Background(), name)
	check(err)
	for _, address := range addresses {
		fmt.Println("address", address)
	}
}

func main() {
	if os.Args[1] == "resolve" {
		resolve(os.Args[2])
		return
	}
	for _, family := range []string{"4", "6"} {
		host := map[string]string{"4": "127.0.0.1", "6": "::1"}[family]
		address := net.JoinHostPort(host, os.Args[1])
		dial("tcp"+family, address)
		dial("udp"+family, address)
		send("udp"+family, address)
	}
	serve("tcp4")
	fmt.Println("end")
	io.ReadAll(os.Stdin)
}
