# IDF_TARGET is given where the chip is another one: -D IDF_TARGET=esp32 or esp32c3.
if(NOT IDF_TARGET)
    set(IDF_TARGET esp32s3)
endif()

set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    ${CMAKE_CURRENT_LIST_DIR}/../sdkconfig.hardened
)
if(KAPOK_SECURE)
    list(APPEND SDKCONFIG_DEFAULTS ${CMAKE_CURRENT_LIST_DIR}/../sdkconfig.secure)
endif()

set(MICROPY_FROZEN_MANIFEST ${CMAKE_CURRENT_LIST_DIR}/../manifest.py)
