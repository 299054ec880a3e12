package stage

import (
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// Call runs one plugin for the container's eth0, without libcni between: what libcni
// would refuse or repair reaches the plugin.
func (s *Stage) Call(b *Box, command string, c Conf) Answer {
	s.Helper()
	return s.CallAs(b, "eth0", command, c)
}

// CallAs is Call for another interface.
func (s *Stage) CallAs(b *Box, ifName, command string, c Conf) Answer {
	s.Helper()
	return s.Run(s.Calling(b, ifName, command, c))
}

// Calling is the call of CallAs, to be changed or to be run in another way.
func (s *Stage) Calling(b *Box, ifName, command string, c Conf) Call {
	return Call{Plugin: c.Plugin(), Command: command, ContainerID: b.ID, Netns: b.Path, IfName: ifName, Config: c.Stdin()}
}

// Run runs one plugin.
func (s *Stage) Run(c Call) Answer {
	s.Helper()
	c.Env = append(c.Env, s.Env...)
	answer, err := s.Host.CNI(s.Bin, c)
	s.Must(err)
	return answer
}

// Attach runs ADD for a new container and wants it to work.
func (s *Stage) Attach(c Conf) (*Box, *types100.Result) {
	s.Helper()
	b := s.Container()
	return b, s.Add(b, c)
}

// Add runs ADD and wants it to work.
func (s *Stage) Add(b *Box, c Conf) *types100.Result {
	s.Helper()
	a := s.Call(b, "ADD", c)
	ExpectOK("ADD", a)
	return a.Result
}

// Check is CHECK with the result of ADD.
func (s *Stage) Check(b *Box, c Conf, result *types100.Result) Answer {
	s.Helper()
	return s.Call(b, "CHECK", c.With(Conf{"prevResult": result}))
}

// Del runs DEL as a runtime does that kept the result, and wants it to work.
func (s *Stage) Del(b *Box, c Conf, result *types100.Result) {
	s.Helper()
	ExpectOK("DEL", s.Call(b, "DEL", c.With(Conf{"prevResult": result})))
}

// Status is STATUS.
func (s *Stage) Status(c Conf) Answer {
	s.Helper()
	return s.Run(Call{Plugin: c.Plugin(), Command: "STATUS", Config: c.Stdin()})
}

// GC collects all attachments of the network but the given ones, and wants it to work.
func (s *Stage) GC(c Conf, valid ...*Box) {
	s.Helper()
	list := []Conf{}
	for _, b := range valid {
		list = append(list, Conf{"containerID": b.ID, "ifname": "eth0"})
	}
	c = c.With(Conf{"runtimeConfig": nil, "cni.dev/valid-attachments": list})
	ExpectOK("GC", s.Run(Call{Plugin: c.Plugin(), Command: "GC", Config: c.Stdin()}))
}

// Add attaches the container as eth0 by libcni and wants it to work.
func (b *Box) Add(n *Network, ports ...map[string]any) *types100.Result {
	b.t.Helper()
	result, err := n.Add(b.ID, b.Path, "eth0", ports)
	must(b.t, err)
	return result
}

// Check wants CHECK of the container's eth0 by libcni to pass.
func (b *Box) Check(n *Network, ports ...map[string]any) {
	b.t.Helper()
	must(b.t, n.Check(b.ID, b.Path, "eth0", ports))
}

// Del detaches the container's eth0 by libcni and wants it to work.
func (b *Box) Del(n *Network, ports ...map[string]any) {
	b.t.Helper()
	must(b.t, n.Del(b.ID, b.Path, "eth0", ports))
}
