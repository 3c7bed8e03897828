import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.containers.users import LIMIT, Identity, identify
from lxcpy.errors import LxcpyError

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
web:x:33:34:web:/var/www:/bin/false
odd:x:many:1::/:
relative:x:50:51::home:
1000:x:2000:2001::/named:/bin/sh
short:x:1

"""
GROUP = b"""root:x:0:
staff:x:50:web,other
video:x:44:other,web
webs:x:45:webmaster
broken:x:many:web
short:x:1
"""


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, (), "/root")),
        ("root", Identity(0, 0, (), "/root")),
        ("0", Identity(0, 0, (), "/root")),
        ("web", Identity(33, 34, (50, 44), "/var/www")),
        ("33", Identity(33, 34, (50, 44), "/var/www")),
        ("web:video", Identity(33, 44, (), "/var/www")),
        ("web:7", Identity(33, 7, (), "/var/www")),
        ("1234", Identity(1234, 0, (), "/")),
        ("1234:5678", Identity(1234, 5678, (), "/")),
        ("1234:staff", Identity(1234, 50, (), "/")),
        ("1000", Identity(2000, 2001, (), "/named")),
        ("relative", Identity(50, 51, (), "/")),
        (str(LIMIT), Identity(LIMIT, 0, (), "/")),
    ],
)
def test_users(user: str, expected: Identity) -> None:
    assert expected == identify(user, PASSWD, GROUP)


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("nobody", "unable to find user nobody"),
        ("web:none", "unable to find group none"),
        ("web:", "a group is missing after the colon"),
        ("odd", "unable to find user odd"),
        ("short", "unable to find user short"),
        (str(LIMIT + 1), "unable to find user"),
        ("9" * 5000, "unable to find user"),
        ("-1", "unable to find user -1"),
        ("1:-1", "unable to find group -1"),
        ("\u0661", "unable to find user \u0661"),
    ],
)
def test_a_user_that_cannot_be_is_refused(user: str, message: str) -> None:
    with pytest.raises(LxcpyError, match=message):
        identify(user, PASSWD, GROUP)


def test_group_numbers_that_no_kernel_takes_are_passed_over() -> None:
    group = b"big:x:%d:web\nhuge:x:%s:web\narabic:x:\xd9\xa1:web\nok:x:7:web\n" % (
        LIMIT + 1,
        b"9" * 5000,
    )
    assert identify("web", PASSWD, group).groups == (7,)


field = st.sampled_from([b"web", b"0", b"33", b"-1", b"", b"9" * 5000, b"\xff", b"\xd9\xa1", b","])
lines = st.lists(st.lists(field, max_size=8).map(b":".join)).map(b"\n".join) | st.binary()


@given(st.sampled_from(["", "web", "33", "web:33", "0:web"]) | st.text(), lines, lines)
def test_any_files_give_an_identity_or_an_error(user: str, passwd: bytes, group: bytes) -> None:
    try:
        found = identify(user, passwd, group)
    except LxcpyError:
        return
    numbers = (found.uid, found.gid, *found.groups)
    assert all(0 <= number <= LIMIT for number in numbers)
    assert found.home.startswith("/")
