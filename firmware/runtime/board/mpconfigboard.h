#define MICROPY_HW_BOARD_NAME "Kapok node"
#define MICROPY_HW_MCU_NAME CONFIG_IDF_TARGET

// The slot that runs is a ROMFS in the partition `romfs`, mapped into memory.
#define MICROPY_VFS_ROM (1)
#define MICROPY_VFS_ROM_IOCTL (1)

// A node has no radio of its own in use.
#define MICROPY_PY_BLUETOOTH (0)
#define MICROPY_PY_ESPNOW (0)
#define MICROPY_HW_ENABLE_SDCARD (0)
