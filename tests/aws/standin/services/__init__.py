"""The table of services. A further one is a module here with a subclass of Service, and a row below."""
from .cloudwatch import CloudWatch
from .remote_write import Prometheus, Workspaces
from .sts import Sts

TABLE = (CloudWatch, Sts, Workspaces, Prometheus)
