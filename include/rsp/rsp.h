/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reliable Server Pooling for programs: registration and resolution (rsp/basic.h), sessions that
 * survive their server (rsp/session.h), servers in a few lines (rsp/server.h). Link with -lrsp, or
 * ask pkg-config for "rsp". See rsp(7).
 */
#ifndef RSP_RSP_H
#define RSP_RSP_H

#include <rsp/basic.h>
#include <rsp/policy.h>
#include <rsp/server.h>
#include <rsp/session.h>
#include <rsp/sockaddr.h>

#endif
