/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sctp_connectx() asks of the kernel, told from other calls; the rest needs SCTP (tests/lab).
 */
#include "preload/sctp.h"

#include <criterion/criterion.h>
#include <linux/sctp.h>

#include "preload/real.h"

Test(sctp, connectx_is_recognised_by_its_call)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sctp_getaddrs_old param = {.addr_num = sizeof(in), .addrs = (struct sockaddr *)&in};
    socklen_t len = sizeof(param);
    const struct sockaddr *addr = NULL;
    socklen_t addr_len = 0;
    cr_assert(
        pre_sctp_is_connectx(IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &param, &len, &addr, &addr_len));
    cr_assert(addr == param.addrs && addr_len == sizeof(in));
    pre_sctp_connectx_done(&param, 7);
    cr_assert_eq(param.assoc_id, 7);
    cr_assert_eq(param.addr_num, sizeof(in));

    cr_assert_not(
        pre_sctp_is_connectx(IPPROTO_TCP, SCTP_SOCKOPT_CONNECTX3, &param, &len, &addr, &addr_len));
    cr_assert_not(pre_sctp_is_connectx(IPPROTO_SCTP, SCTP_STATUS, &param, &len, &addr, &addr_len));
    cr_assert_not(
        pre_sctp_is_connectx(IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, NULL, &len, &addr, &addr_len));
    cr_assert_not(
        pre_sctp_is_connectx(IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &param, NULL, &addr, &addr_len));
    len = sizeof(param) - 1;
    cr_assert_not(
        pre_sctp_is_connectx(IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &param, &len, &addr, &addr_len));
    len = sizeof(param);
    param.addr_num = sizeof(in) - 1;
    cr_assert_not(
        pre_sctp_is_connectx(IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &param, &len, &addr, &addr_len));
    param.addrs = NULL;
    cr_assert_not(
        pre_sctp_is_connectx(IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX3, &param, &len, &addr, &addr_len));
}

Test(sctp, a_socket_of_another_kind_has_no_such_addresses)
{
    struct ip_address list[4];
    cr_assert(pre_real_complete());
    cr_assert_eq(pre_sctp_local(0, list, 4), 0);
    cr_assert_eq(pre_sctp_local(-1, list, 4), 0);
}
