// What the kernel must be told for one attachment, and nothing else: the floor under any
// implementation. It parses no JSON, checks nothing and handles no error but by giving up.
//
//   floor add NETNS HOSTLINK BRIDGEINDEX ADDRESS GATEWAY LEASEFILE PORT...
//   floor del HOSTLINK ADDRESS LEASEFILE PORT...
//   floor weigh FILE PROGRAM   runs it and writes its largest resident size, KiB
//
// The ports go into map "ports" of table inet floor, the address into set "sources",
// as elements; both exist before.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char buf[64 << 10];
static int len, acks, start;
static struct nlmsghdr *msg;

static void die(const char *what) { perror(what); exit(1); }

static void begin(int type, int flags, const void *head, int size) {
    start = len;
    msg = (void *)(buf + len);
    memset(msg, 0, NLMSG_HDRLEN);
    msg->nlmsg_type = type;
    msg->nlmsg_flags = NLM_F_REQUEST | flags;
    msg->nlmsg_seq = 1;
    acks += flags & NLM_F_ACK ? 1 : 0;
    len += NLMSG_HDRLEN;
    memcpy(buf + len, head, size);
    len += NLMSG_ALIGN(size);
}

static void end(void) { msg->nlmsg_len = len - start; }

static int attr(int type, const void *data, int size) {
    struct rtattr *a = (void *)(buf + len);
    int at = len;
    a->rta_type = type;
    a->rta_len = RTA_LENGTH(size);
    if (size) memcpy(RTA_DATA(a), data, size);
    len += RTA_SPACE(size);
    return at;
}

static int open_nest(int type) { return attr(type, NULL, 0); }
static void close_nest(int at) { ((struct rtattr *)(buf + at))->rta_len = len - at; }
static void text(int type, const char *s) { attr(type, s, strlen(s) + 1); }
static void number(int type, int n) { attr(type, &n, 4); }

static int dial(int protocol) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0) die("socket");
    return fd;
}

// flush sends what is there and waits for all answers.
static void flush(int fd, const char *what) {
    static char in[32 << 10];
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(fd, buf, len, 0, (void *)&kernel, sizeof kernel) < 0) die(what);
    while (acks > 0) {
        int n = recv(fd, in, sizeof in, 0);
        if (n < 0) die(what);
        for (struct nlmsghdr *h = (void *)in; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            struct nlmsgerr *e = NLMSG_DATA(h);
            if (h->nlmsg_type != NLMSG_ERROR) continue;
            if (e->error) { fprintf(stderr, "%s: %s\n", what, strerror(-e->error)); exit(1); }
            acks--;
        }
    }
    len = 0;
}

static void add_link(int rt, int ns, const char *name, int bridge) {
    struct ifinfomsg up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, none = {0};
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &up, sizeof up);
    text(IFLA_IFNAME, name);
    number(IFLA_MTU, 1500);
    number(IFLA_MASTER, bridge);
    int info = open_nest(IFLA_LINKINFO);
    text(IFLA_INFO_KIND, "veth");
    int data = open_nest(IFLA_INFO_DATA), peer = open_nest(VETH_INFO_PEER);
    memcpy(buf + len, &none, sizeof none);
    len += sizeof none;
    text(IFLA_IFNAME, "eth0");
    number(IFLA_MTU, 1500);
    number(IFLA_NET_NS_FD, ns);
    close_nest(peer), close_nest(data), close_nest(info);
    end();
    struct ifinfomsg same = {0};
    begin(RTM_NEWLINK, NLM_F_ACK, &same, sizeof same);
    text(IFLA_IFNAME, name);
    info = open_nest(IFLA_LINKINFO);
    text(IFLA_INFO_SLAVE_KIND, "bridge");
    int port = open_nest(IFLA_INFO_SLAVE_DATA);
    unsigned char on = 1;
    attr(IFLA_BRPORT_MODE, &on, 1); // hairpin
    close_nest(port), close_nest(info);
    end();
    flush(rt, "add link");
}

// no_ipv6 keeps the host's end from sending multicast, which the bridge would flood to
// all ports.
static void no_ipv6(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1", 1) != 1 || close(fd)) die(path);
}

static void configure(int rt, in_addr_t address, in_addr_t gateway) {
    struct ifreq r = {.ifr_name = "eth0"};
    if (ioctl(rt, SIOCGIFINDEX, &r) < 0) die("eth0");
    struct ifinfomsg up = {.ifi_index = r.ifr_ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    begin(RTM_NEWLINK, NLM_F_ACK, &up, sizeof up);
    end();
    struct ifaddrmsg a = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = r.ifr_ifindex};
    begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &a, sizeof a);
    attr(IFA_LOCAL, &address, 4);
    attr(IFA_ADDRESS, &address, 4);
    end();
    struct rtmsg route = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
    begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &route, sizeof route);
    attr(RTA_GATEWAY, &gateway, 4);
    number(RTA_OIF, r.ifr_ifindex);
    end();
    flush(rt, "configure");
}

static void data(int type, const void *value, int size) {
    int at = open_nest(type | NLA_F_NESTED);
    attr(NFTA_DATA_VALUE, value, size);
    close_nest(at);
}

// elements queues one message for a set; values are size bytes each, targets 8 or none.
static void elements(int type, const char *set, int n, unsigned char (*keys)[8], int size, unsigned char (*targets)[8]) {
    struct nfgenmsg inet = {.nfgen_family = NFPROTO_INET};
    begin(NFNL_SUBSYS_NFTABLES << 8 | type, NLM_F_ACK | (type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0), &inet, sizeof inet);
    text(NFTA_SET_ELEM_LIST_TABLE, "floor");
    text(NFTA_SET_ELEM_LIST_SET, set);
    int list = open_nest(NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED);
    for (int i = 0; i < n; i++) {
        int one = open_nest(NFTA_LIST_ELEM | NLA_F_NESTED);
        data(NFTA_SET_ELEM_KEY, keys[i], size);
        if (targets) data(NFTA_SET_ELEM_DATA, targets[i], 8);
        close_nest(one);
    }
    close_nest(list);
    end();
}

static void change_elements(int nf, int type, in_addr_t address, int n, char **ports) {
    static unsigned char keys[64][8], targets[64][8], source[1][8];
    for (int i = 0; i < n && i < 64; i++) {
        unsigned short from = htons(atoi(ports[i])), to = htons(80 + i);
        keys[i][0] = 6; // tcp
        memcpy(keys[i] + 4, &from, 2);
        memcpy(targets[i], &address, 4);
        memcpy(targets[i] + 4, &to, 2);
    }
    memcpy(source[0], &address, 4);
    struct nfgenmsg batch = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
    begin(NFNL_MSG_BATCH_BEGIN, 0, &batch, sizeof batch);
    end();
    elements(type, "ports", n, keys, 8, type == NFT_MSG_NEWSETELEM ? targets : NULL);
    elements(type, "sources", 1, source, 4, NULL);
    begin(NFNL_MSG_BATCH_END, 0, &batch, sizeof batch);
    end();
    flush(nf, "elements");
}

static int add(char **v, int ports) {
    int ns = open(v[0], O_RDONLY | O_CLOEXEC);
    int lease = open(v[5], O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (ns < 0 || lease < 0 || write(lease, v[1], strlen(v[1])) < 0 || close(lease)) die("lease");
    int rt = dial(NETLINK_ROUTE), nf = dial(NETLINK_NETFILTER);
    add_link(rt, ns, v[1], atoi(v[2]));
    no_ipv6(v[1]);
    change_elements(nf, NFT_MSG_NEWSETELEM, inet_addr(v[3]), ports, v + 6);
    if (setns(ns, CLONE_NEWNET)) die("setns");
    configure(dial(NETLINK_ROUTE), inet_addr(v[3]), inet_addr(v[4]));
    return 0;
}

// The elements first, the link then, and the netfilter socket is closed last, by exit:
// both wait for an RCU grace period, which is then the same one.
static int del(char **v, int ports) {
    int rt = dial(NETLINK_ROUTE), nf = dial(NETLINK_NETFILTER);
    change_elements(nf, NFT_MSG_DELSETELEM, inet_addr(v[1]), ports, v + 3);
    struct ifinfomsg none = {0};
    begin(RTM_DELLINK, NLM_F_ACK, &none, sizeof none);
    text(IFLA_IFNAME, v[0]);
    end();
    flush(rt, "delete link");
    if (unlink(v[2])) die("lease");
    return 0;
}

// A process's largest size counts its memory before exec, too, which is why a small
// program and not the benchmark starts those whose memory is asked for.
static int weigh(char **v) {
    pid_t child = vfork();
    if (child == 0) { execv(v[1], v + 1); _exit(127); }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) < 0) die("run");
    FILE *f = fopen(v[0], "a");
    if (!f || fprintf(f, "%ld\n", usage.ru_maxrss) < 0 || fclose(f)) die(v[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int n, char **v) {
    if (n > 8 && !strcmp(v[1], "add")) return add(v + 2, n - 8);
    if (n > 5 && !strcmp(v[1], "del")) return del(v + 2, n - 5);
    if (n > 3 && !strcmp(v[1], "weigh")) return weigh(v + 2);
    fprintf(stderr, "usage: see the head of floor.c\n");
    return 2;
}
