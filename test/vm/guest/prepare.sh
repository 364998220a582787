#!/bin/sh
# Makes the disk of a virtual machine of a Debian tree; run in a mount namespace of its own.
#
#   prepare.sh TREE WORK DEB GUEST
#
# TREE stays as it is: what is done to it goes to an overlay in WORK, which then has disk.img, vmlinuz and
# initrd.img. DEB is installed the way a person would; GUEST is the directory with what else the machine has.
set -eu
tree=$1 work=$2 deb=$3 guest=$4

mkdir -p "$work/lower" "$work/upper" "$work/overlay" "$work/root"
# bound first, since overlay's options cannot have every path as it is
mount --bind "$tree" "$work/lower"
mount -t overlay -o "lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/overlay" disk "$work/root"
root=$work/root
mount -t proc proc "$root/proc"

cp "$deb" "$root/unit-secrets.deb"
chroot "$root" dpkg --install /unit-secrets.deb
rm "$root/unit-secrets.deb"

# what the containers that the tree was made for have no use for, and a machine has
for unit in systemd-networkd-wait-online.service systemd-pstore.service; do
  rm -f "$root/etc/systemd/system/$unit"
done
cp -r "$guest/files/." "$root/"
chmod 0755 "$root"/usr/local/lib/boot-report "$root"/usr/local/lib/clock-jump "$root"/usr/local/bin/show-digests
echo boot-vm >"$root/etc/hostname"
mkdir -p "$root/var/log/journal" "$root/srv" "$root/etc/unit-secrets/templates"
chroot "$root" sh -eu -c '
  useradd --system --user-group web
  useradd --create-home --shell /bin/bash ada
  systemctl --quiet enable systemd-networkd.service systemd-networkd-wait-online.service ssh.service \
    systemd-timesyncd.service web.service db.service plain.service clock-jump.service
  systemctl --quiet set-default boot-report.target
  kernel=$(basename /usr/lib/modules/*)
  printf "MODULES=list\nCOMPRESS=zstd\n" >/etc/initramfs-tools/conf.d/vm
  printf "%s\n" virtio_pci virtio_blk virtio_net ext4 >>/etc/initramfs-tools/modules
  mkinitramfs -o /boot/initrd.vm "$kernel"
  # drivers that a server in a virtual machine has no use for: the disk stays small
  cd "/usr/lib/modules/$kernel/kernel"
  rm -rf sound drivers/gpu drivers/media drivers/net/wireless drivers/net/ethernet drivers/infiniband \
    drivers/iio drivers/staging drivers/isdn drivers/scsi drivers/usb
  depmod "$kernel"
'
umount "$root/proc"
cp "$root"/boot/vmlinuz-* "$work/vmlinuz"
mv "$root/boot/initrd.vm" "$work/initrd.img"
rm -f "$root"/boot/* 2>/dev/null || :
mke2fs -q -t ext4 -L root -E lazy_itable_init=1,root_owner=0:0 -d "$root" "$work/disk.img" 1500M
umount "$root" "$work/lower"
rm -rf "$work/upper" "$work/overlay" "$work/root" "$work/lower"
