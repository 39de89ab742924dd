/** What a machine may need between its firmware and its root file system; a kernel that has less is taken as it is. */
export const defaultModules: readonly string[] = [
  // virtual machines
  ...['virtio_pci', 'virtio_mmio', 'virtio_blk', 'virtio_scsi', 'virtio_net', 'virtio_console', 'virtio_rng'],
  ...['virtio_balloon', 'qemu_fw_cfg', 'dmi_sysfs', 'hv_vmbus', 'hv_netvsc', 'hv_storvsc', 'vmxnet3', 'vmw_pvscsi'],
  ...['xen_blkfront', 'xen_netfront', 'ena', 'gve'],
  // disks
  ...['nvme', 'ahci', 'ata_piix', 'sd_mod', 'sr_mod', 'mmc_block', 'sdhci_pci', 'sdhci_acpi'],
  ...['xhci_pci', 'ehci_pci', 'uhci_hcd', 'ohci_pci', 'usb_storage', 'uas', 'usbhid', 'hid_generic'],
  // network cards
  ...['e1000', 'e1000e', 'igb', 'igc', 'ixgbe', 'i40e', 'ice', 'r8169', 'tg3', 'bnx2', 'bnx2x', 'bnxt_en'],
  ...[
    'mlx4_en',
    'mlx5_core',
    'atlantic',
    'alx',
    'atl1c',
    'sky2',
    'forcedeth',
    'usbnet',
    'cdc_ether',
    'r8152',
    'ax88179_178a',
  ],
  ...['cdc_ncm', 'asix', 'realtek', 'af_packet', 'ipv6', '8021q'],
  // file systems and what they lie on
  ...['erofs', 'squashfs', 'ext4', 'vfat', 'nls_cp437', 'nls_iso8859_1', 'nls_ascii', 'nls_utf8', 'overlay'],
  ...['loop', 'dm_mod', 'dm_verity', 'dm_crypt', 'xts', 'aes', 'sha256', 'sha512', 'crc32c_intel', 'crc32c_generic'],
  // firmware
  ...['efivarfs', 'efi_pstore', 'tpm_tis', 'tpm_crb', 'rtc_cmos'],
]
