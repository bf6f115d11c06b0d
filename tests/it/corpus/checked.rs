//! Captures of HTTP/1 that somebody has looked at by hand.

/// Files for which the oracle is wrong or missing and somebody has looked: the rows as in
/// [`Row`](crate::corpus::Row), and why.
pub(super) const CHECKED: [(&str, &[&str], &str); 12] = [
    (
        "suricata-verify/tests__http-gap-whole-body__input.pcap",
        &["GET||/1|200|0|12", "GET||/2|200|0|70", "GET||/3|200|0|12"],
        "Suricata, which is right, has the same statuses",
    ),
    (
        "suricata-verify/tests__http-gap-beyond-body__input.pcap",
        &["GET||/1|200|0|12", "GET||/2||0|", "GET||/3|200|0|12"],
        "the response behind the lost one is whole, and its request is known by acknowledgement",
    ),
    (
        "suricata-verify/tests__http-missing-protocol__input.pcap",
        &["GET|5.8.88.25|/gen.php?generate=191636955/-394717567&hwid=-53127817||0|60"],
        "there is a Host line, although there is no version",
    ),
    (
        "deepflow/agent__resources__test__flow_generator__http__client-ip.pcap",
        &["POST|api-webizft1.intranet.local|/biz-inquiry-bff/bff/v1/common/check/\
           polymerization?channel=webportal&terminalType=bff|200|?|?"],
        "the Host line is in the part of the head that was captured",
    ),
    (
        "zeek/testing__btest__Traces__http__http-lower-case.pcap",
        &["GET|146.190.62.39|/index.html|200|0|?"],
        "Zeek's lenient reading; chunked, and no chunk follows",
    ),
    (
        "zeek/testing__btest__Traces__http__http_09.pcap",
        &["GET||/zeek.html||0|51", "POST||/zeek.html||0|11"],
        "Zeek's rows without its empty ones",
    ),
    (
        "zeek/testing__btest__Traces__http__no-version.pcap",
        &["GET||/cgi-bin/formmail.pl?email=f2@aol.com&subject=www-nrg.ee/cgi-bin/formmail.pl\
           &recipient=unknownz@buy2save.com&msg=w00t||0|323"],
        "Zeek's row",
    ),
    (
        "bundles/extra-shared.tar.gz!zeek/testing__btest__Traces__http__http-to-ssh.pcap",
        &["GET|127.0.0.1:22|/||0|"],
        "a request to a server that is none; tshark goes by the port",
    ),
    (
        "scapy/test__pcaps__http_compressed-zstd.pcap",
        &["|||200||?"],
        "no end of the connection was captured, and only that would tell that the body is whole",
    ),
    (
        "nDPI/tests__cfgs__default__pcap__fuzz-2006-09-29-28586.pcap",
        &[
            "POST||/servlets/mms||3956|",
            "POST|%s\u{0}2.20.3.5|/ppgctrl/ppgcontrollogic.dll||840|",
            "POST|172.20.3.13|.servlets/mms|200|606|358",
            "|||200||0",
            "GET|172.20.3.13|/servlets/mms?message-id=189001|200|?|218",
            "POST|172.20.3.13|/servlets/mms||?|",
            "|||220||0",
            "GET|172.20.3.13|/servlets/mms?message-id=189301||?|",
            "|||200||?",
            "|||200||?",
            "|||202||427",
            "POST||/servlets/mms||606|",
        ],
        "three Host lines are in the parts of heads that were captured; no reader has the 202, \
         which tshark pairs with a request line whose version is hit",
    ),
    (
        "bundles/http-evader-shared.tar.gz!http-evader-333.pcap",
        &["GET|evader.example.com|/broken/eicar.txt/ce%3Agzip%5C240;do_gzip|200|0|88"],
        "tshark stumbles over a byte of no encoding; the other reader has status and length",
    ),
    (
        "bundles/http-evader-shared.tar.gz!http-evader-345.pcap",
        &["GET|evader.example.com|/broken/eicar.txt/ce%3A%5C240deflate;do_deflate|200|0|70"],
        "tshark stumbles over a byte of no encoding; the other reader has status and length",
    ),
];
