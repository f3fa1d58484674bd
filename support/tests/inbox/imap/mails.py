"""Mails as a customer's program writes them."""


def make_mail(number, *, to="support@ctxfy.example", text="Still broken.", header=""):
    return (
        f"From: Ada <ada@example.com>\r\nTo: {to}\r\nSubject: mail {number}\r\n"
        f"Message-ID: <{number}@example.com>\r\n{header}\r\n{text}\r\n"
    ).encode()
