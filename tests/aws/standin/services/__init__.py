"""The table of services. A further one is a module here with a subclass of Service, and a row below."""
from .cloudwatch import CloudWatch
from .sts import Sts

TABLE = (Sts, CloudWatch)
