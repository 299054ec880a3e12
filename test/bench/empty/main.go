// Command empty is what a process of Go costs that does nothing: the floor of each plugin.
package main

func main() {}
