#!/bin/bash
# The first process of one machine of a test cluster; its only argument is the machine's folder.
#
# It is started in a PID, mount, host-name and network namespace of its own, makes the mounts that a machine of its own
# needs, and starts every program in services/ again whenever it ends. The kernel ends everything in a PID namespace
# whose first process is killed, containers included: killing this process cuts the machine's power.
set -e
folder=$1

# Nothing mounted here may reach the host, but containers of this machine share mounts with their kubelet.
# -n: no note of it in the host's /run.
mount -n --make-rprivate /
mount -n --make-rshared /
mount -n -t proc proc /proc
mkdir -p "$folder/var-log"
mount -n --bind "$folder/var-log" /var/log
mount -n --bind "$folder/resolv.conf" "$(readlink -f /etc/resolv.conf)"
# Kubelet and pod networks write here whatever they are told; each machine has its own, and forgets it.
mount -n -t tmpfs -o mode=755 tmpfs /var/lib/kubelet
mount -n -t tmpfs -o mode=755 tmpfs /var/lib/cni
# Sockets and the state of containers: a reboot forgets them too.
mount -n -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns
hostname "${folder##*/}"

set +e
for service in "$folder"/services/*; do
    log="$folder/log/${service##*/}.log"
    while true; do
        "$service" </dev/null >>"$log" 2>&1
        echo "--- ended with $? at $(date +%T), starts again" >>"$log"
        sleep 1
    done &
done
wait
