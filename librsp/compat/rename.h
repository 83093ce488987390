/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Included before everything else when librsp is built for the drop-in: its public functions get
 * other names there, because compat.h's have theirs.
 */
#ifndef RSP_COMPAT_RENAME_H
#define RSP_COMPAT_RENAME_H

#define rsp_pe_registration           rspcore_pe_registration
#define rsp_pe_deregistration         rspcore_pe_deregistration
#define rsp_pe_failure                rspcore_pe_failure
#define rsp_getaddrinfo               rspcore_getaddrinfo
#define rsp_freeaddrinfo              rspcore_freeaddrinfo
#define rsp_socket                    rspcore_socket
#define rsp_bind                      rspcore_bind
#define rsp_listen                    rspcore_listen
#define rsp_close                     rspcore_close
#define rsp_getsockname               rspcore_getsockname
#define rsp_getpeername               rspcore_getpeername
#define rsp_poll                      rspcore_poll
#define rsp_select                    rspcore_select
#define rsp_getsockopt                rspcore_getsockopt
#define rsp_setsockopt                rspcore_setsockopt
#define rsp_update_session_parameters rspcore_update_session_parameters
#define rsp_register                  rspcore_register
#define rsp_deregister                rspcore_deregister
#define rsp_accept                    rspcore_accept
#define rsp_csp_configure             rspcore_csp_configure
#define rsp_csp_setstatus             rspcore_csp_setstatus
#define rsp_connect                   rspcore_connect
#define rsp_forcefailover             rspcore_forcefailover
#define rsp_has_cookie                rspcore_has_cookie
#define rsp_sendmsg                   rspcore_sendmsg
#define rsp_recvmsg                   rspcore_recvmsg
#define rsp_recvfullmsg               rspcore_recvfullmsg
#define rsp_send_cookie               rspcore_send_cookie
#define rsp_send                      rspcore_send
#define rsp_recv                      rspcore_recv
#define rsp_write                     rspcore_write
#define rsp_read                      rspcore_read
#define rsp_print_notification        rspcore_print_notification
#define rsp_getpolicybytype           rspcore_getpolicybytype
#define rsp_getpolicybyname           rspcore_getpolicybyname

#endif
