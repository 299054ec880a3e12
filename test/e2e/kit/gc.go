package kit

import (
	"context"
	"encoding/json"
	"os"

	"github.com/bridgeport-cni/bridgeport/pkg/log"
	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

// gcMark is the first argument of the program when it is a runtime that collects.
const gcMark = "libcni-gc"

// GC runs the specification's GC for a configuration list, on the node through libcni,
// as CRI-O does it when it starts. containerd has no such call. valid are the
// containers that live.
func (n *Node) GC(conflist string, valid []string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	list := make([]types.GCAttachment, len(valid))
	for i, id := range valid {
		list[i] = types.GCAttachment{ContainerID: id, IfName: "eth0"}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	_, err = n.Run(exe, gcMark, conflist, string(text))
	return err
}

func collect(conflist, valid string) error {
	var attachments []types.GCAttachment
	if err := json.Unmarshal([]byte(valid), &attachments); err != nil {
		return err
	}
	list, err := libcni.ConfListFromFile(conflist)
	if err != nil {
		return err
	}
	if err := os.Unsetenv(log.Variable); err != nil { // this is no runtime's call
		return err
	}
	cni := libcni.NewCNIConfig([]string{"/opt/cni/bin"}, nil)
	return cni.GCNetworkList(context.Background(), list, &libcni.GCArgs{ValidAttachments: attachments})
}
