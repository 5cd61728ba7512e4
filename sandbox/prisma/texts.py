# ruff: noqa: RUF001 - Persian letters are meant
"""The texts of the pages in English and Persian, and numbers in either's digits."""

from collections.abc import Mapping

LOCALES = ("en", "fa")
DIRECTION = {"en": "ltr", "fa": "rtl"}

TEXTS: Mapping[str, tuple[str, str]] = {
    "dashboard": ("Dashboard", "داشبورد"),
    "agents": ("Agents", "نمایندگان"),
    "invoices": ("Invoices", "صورت‌حساب‌ها"),
    "payments": ("Payments", "پرداخت‌ها"),
    "partners": ("Partners", "همکاران"),
    "reports": ("Reports", "گزارش‌ها"),
    "settings": ("Settings", "تنظیمات"),
    "portal": ("Portal", "پورتال"),
    "menu": ("Menu", "فهرست"),
    "billed": ("Billed", "صادرشده"),
    "paid": ("Paid", "پرداخت‌شده"),
    "outstanding": ("Outstanding", "مانده"),
    "balance": ("Balance", "مانده حساب"),
    "overdue": ("Overdue", "معوق"),
    "unpaid": ("Unpaid", "پرداخت‌نشده"),
    "calculated": ("Calculated", "محاسبه"),
    "code": ("Code", "کد"),
    "name": ("Name", "نام"),
    "status": ("Status", "وضعیت"),
    "number": ("Number", "شماره"),
    "agent": ("Agent", "نماینده"),
    "amount": ("Amount", "مبلغ"),
    "issued": ("Issued", "تاریخ صدور"),
    "due": ("Due", "سررسید"),
    "source": ("Source", "منبع"),
    "method": ("Method", "روش"),
    "reference": ("Reference", "مرجع"),
    "date": ("Date", "تاریخ"),
    "commission": ("Commission", "کارمزد"),
    "count": ("Count", "تعداد"),
    "sales": ("Sales by month", "فروش ماهانه"),
    "new_agent": ("New agent", "نماینده جدید"),
    "new_payment": ("Record payment", "ثبت پرداخت"),
    "search": ("Search", "جستجو"),
    "save": ("Save", "ذخیره"),
    "close": ("Close", "بستن"),
    "email": ("E-mail", "ایمیل"),
    "phone": ("Phone", "تلفن"),
    "payment_made": ("Payment recorded", "پرداخت ثبت شد"),
    "payment_refused": ("Payment refused", "پرداخت رد شد"),
    "saved": ("Settings saved", "تنظیمات ذخیره شد"),
    "unchanged": ("Nothing to change", "تغییری نبود"),
    "latest_invoices": ("Latest invoices", "آخرین صورت‌حساب‌ها"),
    "latest_payments": ("Latest payments", "آخرین پرداخت‌ها"),
}
_PERSIAN = str.maketrans("0123456789,", "۰۱۲۳۴۵۶۷۸۹٬")


def texts(locale: str) -> dict[str, str]:
    """Return every text in the locale."""
    column = LOCALES.index(locale)
    return {key: words[column] for key, words in TEXTS.items()}


def number(value: int, locale: str) -> str:
    """Return the number with separators, in the locale's digits."""
    text = f"{value:,}"
    return text.translate(_PERSIAN) if locale == "fa" else text
