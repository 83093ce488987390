/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders of the daemon's runtime directory: what is in them survives the daemon, not the host. */
#ifndef RSP_RSPD_LOCAL_RUNDIR_H
#define RSP_RSPD_LOCAL_RUNDIR_H

/** Opens the folder `name` of `runtime_dir`, made (0700) if need be; a descriptor, the caller's to
 *  close, or -errno. */
int rundir_open(const char *runtime_dir, const char *name);

#endif
